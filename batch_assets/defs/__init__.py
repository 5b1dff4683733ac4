"""The inferences of this project; `dg scaffold defs` writes here."""
