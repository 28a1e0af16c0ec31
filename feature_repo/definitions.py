"""The only module Feast reads: every object it may know, by a name of this module.

Feast imports each file of a repository as a top-level module, so objects spread over several would be declared twice.
`ragstone features env` prints the variables this module and feature_store.yaml need.
"""

from __future__ import annotations

from feature_repo.objects import entities
from feature_repo.objects.feature_services import feature_services
from feature_repo.objects.feature_views import feature_view
from ragstone.features import views
from ragstone.runtime.settings import load_settings

_settings = load_settings()
_views = [feature_view(view, _settings.lake_root) for view in views.views(_settings)]

chunk, document = entities.CHUNK, entities.DOCUMENT
# How many embedding spaces there are depends on the lake, so views get their names here.
globals().update((view.name, view) for view in _views)
chat_serving, index_build, training, reranker = feature_services(_views, _settings.embedding.space)
