"""Files to records and back: mammograms, masks, DICOM SEG."""
