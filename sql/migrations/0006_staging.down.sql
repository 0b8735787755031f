DROP TABLE analysis.parameter, staging.rejected, staging.batch;
