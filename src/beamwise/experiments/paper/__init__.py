"""The tables and figures of the APAO paper, and our own beside them: one file each."""
