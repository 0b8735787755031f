DROP TABLE inspection.hazard, inspection.visit;
