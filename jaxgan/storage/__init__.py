"""Runs and data sets in buckets: `gs://bucket/run` and other URLs of fsspec.

Programs work on folders of this machine. For a URL such a folder is a copy, and this
package fetches, mirrors and locks it. For other paths each function returns what it is
given.
"""

from jaxgan.storage.copies import Copy as Copy
from jaxgan.storage.copies import as_urls as as_urls
from jaxgan.storage.copies import data_folder as data_folder
from jaxgan.storage.copies import fetch as fetch
from jaxgan.storage.copies import followed as followed
from jaxgan.storage.copies import is_copy as is_copy
from jaxgan.storage.copies import push as push
from jaxgan.storage.copies import run_folder as run_folder
from jaxgan.storage.copies import shared_folder as shared_folder
from jaxgan.storage.mirror import check as check
from jaxgan.storage.mirror import flush as flush
from jaxgan.storage.mirror import probe as probe
from jaxgan.storage.opened import open_folder as open_folder
from jaxgan.storage.places import checkpoints_in as checkpoints_in
from jaxgan.storage.places import copy_tree as copy_tree
from jaxgan.storage.places import fetched as fetched
from jaxgan.storage.places import is_complete as is_complete
from jaxgan.storage.places import is_remote as is_remote
from jaxgan.storage.places import is_uploaded as is_uploaded
from jaxgan.storage.places import move as move
from jaxgan.storage.places import remove_tree as remove_tree
from jaxgan.storage.urls import location as location
