"""sql/migrations/0012_scans"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0012_scans")
