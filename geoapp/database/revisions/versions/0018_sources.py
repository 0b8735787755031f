"""sql/migrations/0018_sources"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0018_sources")
