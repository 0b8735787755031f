DROP INDEX registry.site_duty_idx;
DROP FUNCTION duty.designate;
DROP TABLE duty.designation;
