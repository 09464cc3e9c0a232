"""Errors of this package; one `except AunetError` catches them all."""


class AunetError(Exception):
    """Something given to this package can't be used; the message says what was found, expected and to be done."""


class ReadError(AunetError):
    """A file can't be read as a mammogram or as a mask."""


class DicomReadError(ReadError):
    """A DICOM file can't be read as one two-dimensional mammogram."""


class ImageReadError(ReadError):
    """A picture (PNG, TIFF, JPEG, PGM) can't be read without losing something."""


class DatasetError(AunetError):
    """A data set, its table or its split can't be used."""


class RecipeError(AunetError):
    """A recipe has an unknown key, or a value outside its range."""


class CheckpointError(AunetError):
    """A checkpoint or an exported bundle is incomplete, damaged or of another kind."""


class DownloadError(AunetError):
    """A file can't be fetched from the network, or is not the one that was asked for."""


class TrainingError(AunetError):
    """A training run can't start, or can't go on."""


class MissingExtraError(AunetError):
    """A part of this package needs libraries of an extra that is not installed."""


class WriteError(AunetError):
    """A result can't be written in the form asked for."""
