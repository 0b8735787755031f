"""Ends a test run's server when the run itself is gone, whatever ended it.

Run as a process of its own with the cluster's home folder; its standard input is a pipe that the run holds open, so
it reads the end of file when the run ends, even by kill -9.
"""

import shutil
import sys
from pathlib import Path

from geoapp.database.cluster import PrivateCluster

home = Path(sys.argv[1])
sys.stdin.buffer.read()
PrivateCluster(home, throwaway=True).destroy()
shutil.rmtree(home, ignore_errors=True)
