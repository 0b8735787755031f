DROP TABLE duty.unit_staff, duty.grid_staff, duty.assignment, duty.person, duty.rule, duty.department;
