"""What the figures in `docs/` come from: `./belfry bench NAME`. What is counted, and what flatters us: `README.md`."""
