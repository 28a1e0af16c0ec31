"""The crawl connector: web pages reached from start pages and sitemaps."""
