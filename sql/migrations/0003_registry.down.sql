DROP TABLE registry.hot_work_permit, registry.certificate, registry.camera, registry.key_risk_area, registry.site;
