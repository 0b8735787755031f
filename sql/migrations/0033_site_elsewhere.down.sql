DROP INDEX registry.site_elsewhere_idx;
