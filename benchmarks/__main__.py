"""`python -m benchmarks NAME`: what `./belfry bench NAME` runs."""

from benchmarks.main import main

raise SystemExit(main())
