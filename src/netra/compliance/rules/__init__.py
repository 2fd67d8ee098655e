"""The rules, one file each (see `netra.compliance.rule`)."""
