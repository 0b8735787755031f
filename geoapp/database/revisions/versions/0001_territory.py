"""sql/migrations/0001_territory"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0001_territory")
