"""What stands above every page, and the front page with its status strip."""

from __future__ import annotations

from django.contrib import admin

admin.site.site_header = "Belfry"
admin.site.site_title = "Belfry"
admin.site.index_title = "Belfry"
admin.site.index_template = "admin/belfry/index.html"
# The root of the site leads here again.
admin.site.site_url = None
admin.site.empty_value_display = "–"
