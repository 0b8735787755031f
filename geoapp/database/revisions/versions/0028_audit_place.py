"""sql/migrations/0028_audit_place"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0028_audit_place")
