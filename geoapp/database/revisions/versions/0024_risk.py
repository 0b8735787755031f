"""sql/migrations/0024_risk"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0024_risk")
