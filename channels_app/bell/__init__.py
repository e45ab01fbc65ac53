"""The sources of `<belfry-bell>`. What browsers load is `static/belfry/bell.js`, made of them by `build.py`."""
