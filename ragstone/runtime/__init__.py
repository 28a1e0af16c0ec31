"""What every process needs: settings, errors, logging, metrics, tracing and the local services."""
