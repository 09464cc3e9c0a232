"""What results are for, in the words that stand on all of them."""

RESEARCH_ONLY = "For research use only, not a medical device."
"""Short enough to follow a few words in a DICOM attribute of 64 characters."""
