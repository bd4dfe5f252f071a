"""Names, leads and rates of the MIT-BIH Arrhythmia Database.

For each record a header (.hea), samples (.dat, format 212) and annotations (.atr).
"""

RATE = 360  # samples a second, in all of MIT-BIH
LEADS = ("MLII", "V1")  # of most of MIT-BIH's records; others have V2, V4 or V5 second
# Every symbol of a beat; all others (+ ~ | x ! " and so on) are marks.
BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")
