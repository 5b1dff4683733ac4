"""Where items come from."""

from batch_assets.corpus.corpus import Corpus, Rows
from batch_assets.corpus.files import FileCorpus

__all__ = ["Corpus", "FileCorpus", "Rows"]
