"""sql/migrations/0023_simplified"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0023_simplified")
