"""sql/migrations/0030_beside_each_other"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0030_beside_each_other")
