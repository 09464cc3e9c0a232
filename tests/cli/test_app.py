import errno

import pytest

from aunet.cli import app
from aunet.errors import DatasetError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DatasetError("no cases.csv"), "aunet: no cases.csv\n"),
        (OSError(errno.ENOSPC, "No space left on device", "out/a.png"), "No space left on device: 'out/a.png'\n"),
        (ModuleNotFoundError("no torch", name="torch.nn"), "needs torch.nn, which is not installed; pip install"),
        (ModuleNotFoundError("no ray", name="ray"), "needs ray, which is not installed; pip install 'aunet[cluster]'"),
    ],
)
def test_an_error_that_users_can_mend_is_one_message_and_status_2(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)

    with pytest.raises(SystemExit) as ended:
        app.main()

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_module_that_no_extra_brings_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ModuleNotFoundError(name="aunet_typo")

    monkeypatch.setattr(app, "app", fail)

    with pytest.raises(ModuleNotFoundError):
        app.main()
