"""Names and label numbers of Synapse/BTCV.

Files are `RawData/Training/img/img0001.nii.gz` and `RawData/Training/label/label0001.nii.gz`. The
Synapse protocol scores eight of BTCV's thirteen structures.
"""

# BTCV's numbers of the eight organs that the Synapse protocol scores, in their order.
ORGANS = {
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    6: "liver",
    7: "stomach",
    8: "aorta",
    11: "pancreas",
}
CLASS_NAMES = ("background", *ORGANS.values())
VENA_CAVA = 9  # labelled in BTCV, not scored by the Synapse protocol
IMAGES, LABELS = "RawData/Training/img", "RawData/Training/label"
