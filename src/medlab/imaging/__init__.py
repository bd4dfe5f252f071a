"""Medical images: file formats, geometry and Hounsfield values, for data sets, units and labs.

It knows no data set and no network, and holds no exercise's answer that a unit does not hide.
"""
