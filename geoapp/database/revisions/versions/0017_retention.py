"""sql/migrations/0017_retention"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0017_retention")
