"""Where Vertex AI works, and the bucket that it reads requests from and writes answers to."""

from dataclasses import dataclass

from batch_assets.domain.errors import DeclarationError

BUCKET = "gs://"

#: The folder of a batch's answers, in the batch's own.
ANSWERS = "answers"

#: What a URL of a file cannot have: patterns, and a version of an object.
_PATTERN = "*?[]#"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A project and location of Vertex AI. Raises DeclarationError where something is missing."""

    project: str
    location: str
    #: URL of a folder, `gs://bucket/path`, without a slash at its end.
    folder: str

    def __post_init__(self) -> None:
        for name, value in (("project", self.project), ("location", self.location)):
            if not value or "/" in value:
                raise DeclarationError(
                    f"{name} is {value!r}: name the one that Vertex AI is to use"
                )
        path = self.folder.removeprefix(BUCKET)
        if path == self.folder or not path.strip("/") or any(c in path for c in _PATTERN):
            raise DeclarationError(
                f"bucket is {self.folder!r}: name a folder for requests and answers, as "
                "gs://my-bucket/batches"
            )

    def requests_of(self, key: str) -> str:
        """The file of a batch's requests."""
        return f"{self.folder}/{key}/requests.jsonl"

    def file_of(self, name: str) -> str:
        """A request file that a person uploads by that name. Raises DeclarationError."""
        if any(each in name for each in _PATTERN):
            raise DeclarationError(f"the name {name} has one of {_PATTERN}: choose another")
        return f"{self.folder}/{name}"

    def answers_of(self, key: str) -> str:
        """The folder that a batch's answers go to."""
        return f"{self.folder}/{key}/{ANSWERS}"

    def are_answers(self, url: str) -> bool:
        """Whether it is the folder of a batch's answers, or lies in it."""
        _, found, path = url.partition(f"{self.folder}/")
        return bool(found) and path.split("/")[1:2] == [ANSWERS]
