"""Names in APTOS 2019: train.csv (id_code, diagnosis) and train_images/<id_code>.png.

patients.csv is the stand-in's own: APTOS has no table of patients.
"""

GRADES_FILE, PATIENTS_FILE, IMAGES = "train.csv", "patients.csv", "train_images"
GRADES = ("no retinopathy", "mild", "moderate", "severe", "proliferative")
COLUMNS = (
    "age_years",
    "sex",
    "duration_years",
    "hba1c_percent",
    "systolic_mmhg",
    "bmi_kg_m2",
)
