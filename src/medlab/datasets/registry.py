"""The data sets that medlab knows: the package of each, and where the real one comes from."""

import importlib
from dataclasses import dataclass

from medlab.datasets.protocol import DataSetModule
from medlab.errors import BadInput
from medlab.text import did_you_mean


@dataclass(frozen=True)
class File:
    """One file of a real data set that its owner offers for download without an account."""

    name: str  # its path in the folder; of an archive that is unpacked, only the file's name
    url: str
    checksum: str = ""  # "sha256:..." or "md5:...", as its owner publishes it; "" if unknown
    unpack: bool = False  # a .zip or .tar whose content belongs in the folder
    megabytes: float = 0  # about; 0 if not known


@dataclass(frozen=True)
class Real:
    """The real data set whose layout a stand-in has.

    Without files, medlab cannot download it: `how` names the owner's own tool.
    """

    title: str
    licence: str
    terms: str  # what its owner asks of users, in one line
    page: str  # address of the owner's page
    how: str  # in one line: what to download and where to put it
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class DataSet:
    """A data set by name, with the package that makes, reads and verifies it."""

    name: str
    title: str
    module: str  # a DataSetModule
    real: Real
    made_from: tuple[str, ...] = ()  # names of data sets whose stand-in this one is made from

    @property
    def card(self) -> str:
        """The path of its data card in the repository."""
        return f"datasets/{self.name}.md"

    def load(self) -> DataSetModule:
        """Import the package, which may be slow."""
        return importlib.import_module(self.module)


DATA_SETS: tuple[DataSet, ...] = (
    DataSet(
        name="chest-xray",
        title="Chest radiographs, with and without pneumonia",
        module="medlab.datasets.chest_xray",
        real=Real(
            title="Labeled Chest X-Ray Images, version 2 (Kermany, Zhang, Goldbaum 2018)",
            licence="CC BY 4.0",
            terms="name the authors: Kermany, Zhang, Goldbaum, doi 10.17632/rscbjbr9sj.2",
            page="https://data.mendeley.com/datasets/rscbjbr9sj/2",
            how="download ChestXRay2017.zip there and unpack it: its folder chest_xray is the set",
        ),
    ),
    DataSet(
        name="abdominal-ct",
        title="Abdominal CT with eight labelled organs",
        module="medlab.datasets.abdominal_ct",
        real=Real(
            title="Multi-Atlas Labeling Beyond the Cranial Vault, abdomen (BTCV)",
            licence="none stated; use only under the owner's terms",
            terms="an account at Synapse, and the challenge's terms accepted there",
            page="https://www.synapse.org/Synapse:syn3193805",
            how="log in, download Abdomen/RawData.zip and unpack it: its folder RawData is the set",
        ),
    ),
    DataSet(
        name="pneumonia-mnist",
        title="Chest radiographs of 28 x 28 pixels, with and without pneumonia",
        module="medlab.datasets.pneumonia_mnist",
        made_from=("chest-xray",),
        real=Real(
            title="PneumoniaMNIST (MedMNIST v2; Yang and others 2023)",
            licence="CC BY 4.0",
            terms="name MedMNIST v2 (doi 10.1038/s41597-022-01721-8) and Kermany and others (2018)",
            page="https://medmnist.com/",
            how="download pneumoniamnist.npz (4 MB) there",
            files=(
                File(
                    name="pneumoniamnist.npz",
                    url="https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1",
                    checksum="md5:28209eda62fecd6e6a2d98b1501bb15f",
                    megabytes=4,
                ),
            ),
        ),
    ),
    DataSet(
        name="fundus",
        title="Fundus photographs graded for diabetic retinopathy, with patient data",
        module="medlab.datasets.fundus",
        real=Real(
            title="APTOS 2019 Blindness Detection (Asia Pacific Tele-Ophthalmology Society)",
            licence="none that is open; use only under the competition's rules",
            terms="an account at Kaggle, and the competition's rules accepted there",
            page="https://www.kaggle.com/c/aptos2019-blindness-detection",
            how="'kaggle competitions download -c aptos2019-blindness-detection', then unpack it",
        ),
    ),
    DataSet(
        name="nodule-ct",
        title="Chest CT with lung nodules and candidates, of which few are nodules",
        module="medlab.datasets.nodule_ct",
        real=Real(
            title="LUNA16, Lung Nodule Analysis 2016 (Setio and others 2017; scans of LIDC-IDRI)",
            licence="CC BY 4.0; of its source LIDC-IDRI: CC BY 3.0",
            terms="name LUNA16 (Setio and others 2017) and LIDC-IDRI (Armato and others 2011)",
            page="https://luna16.grand-challenge.org/Download/",
            how="unpack subset0.zip to subset9.zip, annotations.csv and candidates_V2 in a folder",
        ),
    ),
    DataSet(
        name="ecg",
        title="Heart signals of two leads, every beat labelled",
        module="medlab.datasets.ecg",
        real=Real(
            title="MIT-BIH Arrhythmia Database, version 1.0.0 (Moody and Mark 2001)",
            licence="ODC-By 1.0",
            terms="cite Moody and Mark 2001, and PhysioNet (Goldberger and others 2000)",
            page="https://physionet.org/content/mitdb/1.0.0/",
            how="python -c \"import wfdb; wfdb.dl_database('mitdb', 'FOLDER')\", about 100 MB",
        ),
    ),
)


def find(name: str) -> DataSet:
    """Return the data set of this name; raise BadInput with the nearest name, or all names."""
    for data_set in DATA_SETS:
        if data_set.name == name:
            return data_set
    names = [data_set.name for data_set in DATA_SETS]
    fix = did_you_mean(name, names, f"choose one of {', '.join(names)}")
    raise BadInput(f"no data set '{name}': {fix}")
