"""sql/migrations/0004_inspection"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0004_inspection")
