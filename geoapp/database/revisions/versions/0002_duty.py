"""sql/migrations/0002_duty"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0002_duty")
