"""sql/migrations/0011_feeds"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0011_feeds")
