"""sql/migrations/0019_health"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0019_health")
