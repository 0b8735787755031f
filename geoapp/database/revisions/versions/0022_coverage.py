"""sql/migrations/0022_coverage"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0022_coverage")
