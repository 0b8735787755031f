"""sql/migrations/0016_telling"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0016_telling")
