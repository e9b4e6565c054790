"""Reports and exports of runs, for others than the one who trained them."""
