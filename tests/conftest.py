"""Its place puts `factories` on the import path of every test."""
