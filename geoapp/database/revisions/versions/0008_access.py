"""sql/migrations/0008_access"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0008_access")
