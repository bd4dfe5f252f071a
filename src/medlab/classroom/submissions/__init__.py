"""What students submit: found, read with distrust, put back into the course's own notebook.

Nothing here runs a submission or judges it.
"""
