"""`python -m batch_assets.cli`: the same commands, where the script is not on the path."""

from batch_assets.cli import main

main()
