"""The audits: DQDL rules from `conf/quality`, verdicts from Deequ, failing rows to quarantine, one report per run."""
