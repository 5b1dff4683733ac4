"""Where items come from."""

from batch_assets.corpus.parquet import ParquetCorpus

__all__ = ["ParquetCorpus"]
