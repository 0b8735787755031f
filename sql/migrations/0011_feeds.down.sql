DELETE FROM access.secret WHERE subject_kind = 'feed';
DROP TABLE staging.feed;
