"""sql/migrations/0026_duty"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0026_duty")
