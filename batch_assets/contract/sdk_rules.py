"""Every exception of an SDK becomes one of ours: a contract for the adapter's one border."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

import pytest

from batch_assets.domain.errors import BatchAssetsError, ProviderUnreachable, ReplyLost


class SdkErrorsContract:
    """Give `border` and `foreign`, and `instance` where an SDK's error is made in a special way."""

    def border(self, *, creating: bool) -> AbstractContextManager[None]:
        """A block of the adapter's in which a call to the SDK stands.

        With `creating`, the call makes a batch exist: where it is in doubt, ReplyLost comes out.
        """
        raise NotImplementedError("a method `border`, such as Border(...).translated(...)")

    def foreign(self) -> Iterable[type[Exception]]:
        """Every exception that the SDK and its HTTP client may raise.

        `exceptions_in(module)` and `subclasses_of(kind)` collect them, so that one that a new
        version of the SDK adds is not left out.
        """
        raise NotImplementedError("a method `foreign`, such as exceptions_in(the_sdk)")

    def never_sent(self) -> Iterable[Exception]:
        """Errors, as the adapter meets them, that mean that no connection stood."""
        raise NotImplementedError("a method `never_sent`, such as [ConnectError('refused')]")

    def instance(self, kind: type[Exception]) -> Exception:
        """An exception of that kind, by default without the work of its `__init__`."""
        return kind.__new__(kind, "No.")

    @pytest.mark.parametrize("creating", [True, False])
    def test_no_exception_of_the_sdk_passes_untranslated(self, creating: bool) -> None:
        kinds = sorted(set(self.foreign()), key=lambda kind: kind.__qualname__)

        passed = [kind for kind in kinds if self.raised(self.instance(kind), creating) is None]

        assert kinds != []
        assert passed == []

    def test_only_a_creation_can_be_in_doubt(self) -> None:
        kinds = set(self.foreign())

        raised = [self.raised(self.instance(kind), creating=False) for kind in kinds]

        assert [error for error in raised if isinstance(error, ReplyLost)] == []

    @pytest.mark.parametrize("creating", [True, False])
    def test_without_a_connection_nothing_reached_the_provider(self, creating: bool) -> None:
        raised = [type(self.raised(error, creating)) for error in self.never_sent()]

        assert set(raised) == {ProviderUnreachable}

    def test_a_bug_of_our_own_is_not_translated(self) -> None:
        with pytest.raises(AttributeError, match="ours"), self.border(creating=True):
            raise AttributeError("ours")

    def raised(self, error: Exception, creating: bool) -> BatchAssetsError | None:
        """What comes out of the border for an error; None where it passes as it is."""
        try:
            with self.border(creating=creating):
                raise error
        except BatchAssetsError as ours:
            return ours
        except type(error):
            return None


def exceptions_in(module: object) -> Iterator[type[Exception]]:
    """The exceptions that a module has by name; warnings are none."""
    for value in vars(module).values():
        is_exception = isinstance(value, type) and issubclass(value, Exception)
        if is_exception and not issubclass(value, Warning):
            yield value


def subclasses_of(kind: type[Exception]) -> Iterator[type[Exception]]:
    """The exception and all that are made of it, in whatever module."""
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses_of(child)
